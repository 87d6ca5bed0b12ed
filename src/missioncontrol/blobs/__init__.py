"""Objects by key: dumps, raw and processed crashes, symbols."""
