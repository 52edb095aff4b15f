/** The page. */
import { Holds, TxnForm, WatchFeed, WriteForm } from './actions.js'
import { Charts } from './charts.js'
import { DataForm, StatusWords } from './data-view.js'
import { GuideView } from './guide-view.js'
import { KeyHistory, KeyTable } from './keys.js'
import { newest } from './live.js'
import { LoadForm } from './load-view.js'
import { PageMapView } from './page-map.js'
import { writeReleases } from './releases.js'
import { busy, during, fallback, openOwn, placeWords, session, tried, trouble } from './session.js'
import { RevisionChanges, Timeline } from './timeline.js'
import { CompactForm, Rules } from './upkeep.js'

function Header() {
  const current = session.value
  return (
    <header>
      <div>
        <h1>Palimpsest inspector</h1>
        <p>
          A key-value store that keeps every version of every key, until you say what to forget. A real one
          runs in this page: look around, or follow the five steps.
        </p>
      </div>
      <p class="place" data-testid="place">
        {current === undefined ? 'Opening …' : placeWords(current)}
      </p>
    </header>
  )
}

/** What is wrong or being done, above everything else. */
function Notices() {
  const wrong = trouble.value
  return (
    <div class="notices" aria-live="assertive">
      {busy.value !== undefined && <p class="notice plain">{busy.value} …</p>}
      {fallback.value !== undefined && (
        <p class="notice plain">
          This browser does not let the store be where it would be best. Why: {fallback.value}
        </p>
      )}
      {wrong !== undefined && (
        <div class="notice" role="alert">
          <p>
            <strong>{wrong.title}.</strong> {wrong.advice}
          </p>
          <p class="quiet">{wrong.detail}</p>
          <div class="buttons">
            {session.value === undefined && (
              <button type="button" class="primary" onClick={() => void start()}>
                Try again
              </button>
            )}
            <button type="button" onClick={() => (trouble.value = undefined)}>
              Dismiss
            </button>
          </div>
        </div>
      )}
    </div>
  )
}

/** Opens the page's own store; a new one gets the releases, so that there is something to see. */
export async function start(): Promise<void> {
  const isOpen = await tried(openOwn)
  const db = session.value?.db
  if (!isOpen || db === undefined || db.revision > 1) return
  await tried(() => writeReleases(db))
}

function EmptyHint() {
  const db = session.value?.db
  if (db === undefined || newest.value > 1) return null
  return (
    <p class="notice plain">
      This store is empty.{' '}
      <button type="button" class="link" onClick={() => void during('Writing', () => writeReleases(db))}>
        Write 19 releases of mime-db
      </button>
      , or put something below.
    </p>
  )
}

/** All of the page. */
export function App() {
  return (
    <>
      <Header />
      <Notices />
      <main>
        <EmptyHint />
        <Timeline />
        <div class="columns">
          <div class="time" id="time">
            <h2>Time</h2>
            <KeyTable />
            <div class="pair">
              <KeyHistory />
              <RevisionChanges />
            </div>
          </div>
          <div class="pages" id="pages">
            <h2>Pages</h2>
            <section class="card" aria-label="Map of pages">
              <PageMapView />
            </section>
            <GuideView />
            <StatusWords />
          </div>
        </div>
        <h2>Write and watch</h2>
        <div class="cards">
          <WriteForm />
          <TxnForm />
          <WatchFeed />
        </div>
        <h2>Keep and forget</h2>
        <div class="cards">
          <CompactForm />
          <Rules key={session.value?.id} />
          <Holds />
        </div>
        <h2>Load and data</h2>
        <div class="cards">
          <LoadForm />
          <DataForm />
        </div>
        <Charts />
      </main>
      <footer class="quiet">
        Everything happens in this browser; nothing is sent anywhere. The data is the history of mime-db
        (MIT).
      </footer>
    </>
  )
}
