"""The polite way to sites: paced, patient, guarded, resumable.

pace.py, guard.py → client.py (questions to APIs) → robots.py, download.py (a file) → collector.py (many).
"""
