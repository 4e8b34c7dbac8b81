"""What install.py does, one idea a file, with the standard library alone.

`steps` is the order of it; `home` says where everything lies.
"""
