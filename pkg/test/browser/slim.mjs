// The package without the engine, for pages that bring it.
export * from 'palimpsest-kv/slim'
