// The worker that a program makes for itself.
import 'palimpsest-kv/worker'
