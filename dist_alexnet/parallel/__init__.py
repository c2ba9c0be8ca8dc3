"""How the network is spread over ranks: placements, exchanges, and the contract of a strategy."""
