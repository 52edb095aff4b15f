// The service worker: keeps all files of one build, and answers with them. The build puts their names here.
const CACHE = `inspector-${'VERSION'}`
const FILES = JSON.parse('FILES')

self.addEventListener('install', event => {
  event.waitUntil(caches.open(CACHE).then(cache => cache.addAll(FILES)))
  self.skipWaiting()
})

async function takeOver() {
  for (const name of await caches.keys()) {
    if (name.startsWith('inspector-') && name !== CACHE) await caches.delete(name)
  }
  await self.clients.claim()
}

self.addEventListener('activate', event => event.waitUntil(takeOver()))

/** The page from the network, so that a newer one is seen; without one, as it was. Files have their contents in their names. */
async function answer(request) {
  const kept = await caches.match(request, { ignoreSearch: true, ignoreVary: true })
  if (request.mode !== 'navigate') return kept ?? fetch(request)
  return fetch(request).catch(() => kept ?? caches.match('/', { ignoreVary: true }))
}

self.addEventListener('fetch', event => {
  if (event.request.method === 'GET' && new URL(event.request.url).origin === location.origin)
    event.respondWith(answer(event.request))
})
