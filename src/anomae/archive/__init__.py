"""An archive scored shard by shard, by several processes or machines: manifest in, Parquet tables and maps out."""
