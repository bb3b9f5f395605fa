"""Other ways to do the same work on the same topics: each a process of its own, its totals held to the same count.

The work: consume, decode Avro, judge by the same rules, keep the newest revision of each cell, total by day. The rivals
in Python keep what they know in dictionaries and total once, at the end: they store nothing, resume nothing, announce
nothing, and keep no reason but its name. That favours them.
"""
