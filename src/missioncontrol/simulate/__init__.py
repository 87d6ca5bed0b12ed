"""A simulated fleet of clients with known truth: for the demo, the tests and load.

Population and release trains -> sessions and crashes -> pings as bytes -> history, live traffic or a corpus.
Everything but `traffic` and `demo` is a pure function of seed and times; nothing here reads the machine's clock to
decide what a client sends, and nothing here is imported by the parts that process real data.
"""
