"""``detctl estimate``: what could be saved on a log, before anything is installed.

Not part of the operator: it runs cold experiments on a file and concludes once.
"""
