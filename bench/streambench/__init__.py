"""The benchmark on streams: what the operator saves, what that costs in quality, and what was possible.

Every arm is a chain of runs of the trainer contract on the same stream, launched as processes the way
``detctl run`` does; the operator's arm is the state machine itself in the local driver. Each run is kept
under the digest of its content, so that the benchmark goes on where it stopped. It decides nothing and
trains nothing by itself, and it is not part of what is installed.
"""
