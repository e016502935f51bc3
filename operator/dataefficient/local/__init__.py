"""Runs a resource with processes of this machine and keeps everything in a work folder."""
