"""Charts as SVG by matplotlib, in one style: points on a plane, lines over steps, rows of
intervals.
"""
