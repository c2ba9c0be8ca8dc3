"""Charts that reports and the dashboard share, from plain numbers. Nothing here knows a run or a strategy."""
