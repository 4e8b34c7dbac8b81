"""A cluster: a scheduler with a TLS port, and its workers on other machines.

The server is the scheduler: it has the clients and the queue. A worker on another machine is the same
process as on this one; the bytes of its pipe travel over TLS. So nothing is unpickled: a message is JSON
and raw pixels.
"""
