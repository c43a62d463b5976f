"""Which method, with which coefficients: successive halving on what can be measured without a gold
model.
"""
