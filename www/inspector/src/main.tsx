/** Starts the page. */
import { render } from 'preact'
import '@preact/signals'
import { App, start } from './app.js'
import './style.css'

const root = document.getElementById('app')
if (root !== null) render(<App />, root)
void start()

// In development the server always is there.
if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  addEventListener('load', () => void navigator.serviceWorker.register('/sw.js').catch(() => {}))
}
