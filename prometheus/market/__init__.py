"""Markets: raw rows brought in, prices as panels, corporate actions, returns, baskets, the synthetic market.

Import what you need from the submodules; importing the package loads none of them.
"""
