"""The dashboards, one module each; parts.py is what they are made of."""
