"""Streamlit pages: pages only, the logic is in `lacbench`."""
