"""Sets as they are opened: prepared shards and their index, and photographs where they lie."""
