"""Clips of the command line: animated pictures, videos and numbered pictures, frame by frame.

At any time only a few frames are in memory, whatever the length of a clip.
"""
