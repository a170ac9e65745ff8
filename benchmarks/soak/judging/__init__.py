"""How a disturbed run or reader may end."""
