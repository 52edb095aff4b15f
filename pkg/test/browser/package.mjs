// The package as it is, for pages that are driven from outside.
export * from 'palimpsest-kv/real'
