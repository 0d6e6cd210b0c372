"""What a study's page keeps for all its visitors, as long as its server runs.

Not in Streamlit's own cache: any visitor can have that emptied by a message, and would have the wrong links
that they tried forgotten with it.
"""

from functools import cache

from lacbench.study.attempts import Attempts
from lacbench.study.folder import Study

opened = cache(Study.open)
"""The study in a folder. Raises as `Study.open`, and then tries again the next time."""
attempts = Attempts()
"""Wrong secrets that were tried at the organiser's page."""
