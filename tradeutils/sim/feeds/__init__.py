"""
The websocket feeds of the simulated venue: what is told, to whom, and what goes wrong on the way.

Once a pulse every topic that any connection follows is worked out once; the dialects put it in their venue's words.
"""
