"""All tickers of a venue from one reply, column by column, and which of them a screen keeps."""
