"""From a request on the wire to an algorithm and back."""
