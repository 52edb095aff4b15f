/** The status in words, and one's own data: opening a file, saving, deleting. */
import { useSignal } from '@preact/signals'
import { count, counted } from './format.js'
import { restart } from './guide.js'
import { look, status } from './live.js'
import { busy, deleteOwn, during, openFile, reopen, savedFile, session } from './session.js'
import { statusWords } from './words.js'

/** How the store stands. */
export function StatusWords() {
  const seen = status.value
  return (
    <section class="card" aria-label="Status">
      <h3>How it stands</h3>
      {seen === undefined ? (
        <p class="quiet">…</p>
      ) : (
        <ul class="sentences" data-testid="status">
          {statusWords(seen).map(sentence => (
            <li key={sentence}>{sentence}</li>
          ))}
        </ul>
      )}
    </section>
  )
}

function download(file: File): void {
  const url = URL.createObjectURL(file)
  const link = Object.assign(document.createElement('a'), { href: url, download: file.name })
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}

function save(): void {
  void during('Saving', async () => {
    const file = await savedFile()
    if (file !== undefined) download(file)
  })
}

function DeleteButton() {
  const isAsked = useSignal(false)
  const remove = () => {
    isAsked.value = false
    void during('Deleting', async () => {
      await deleteOwn()
      restart()
    })
  }
  if (!isAsked.value)
    return (
      <button type="button" onClick={() => (isAsked.value = true)}>
        Delete this store
      </button>
    )
  return (
    <>
      <button type="button" class="danger" onClick={remove}>
        Delete it with all of its history
      </button>
      <button type="button" onClick={() => (isAsked.value = false)}>
        Keep it
      </button>
    </>
  )
}

function CheckButton() {
  const said = useSignal('')
  const check = () =>
    void during('Checking', async () => {
      said.value = ''
      const report = await session.value?.db.check()
      if (report === undefined) return
      said.value = `Sound: ${counted(report.records, 'record')} of ${counted(report.keys, 'key')} and ${count(report.reachablePages)} pages were read and verified.`
      await look()
    })
  return (
    <>
      <button type="button" onClick={check}>
        Check everything
      </button>
      <p class="quiet last" role="status">
        {said.value ||
          'A store’s file can be opened here, as from Node: it is copied into memory and stays as it is.'}
      </p>
    </>
  )
}

/** Opening, saving, checking and deleting. */
export function DataForm() {
  const isFile = session.value?.kind === 'file'
  const opened = (input: HTMLInputElement) => {
    const [file] = input.files ?? []
    input.value = ''
    if (file !== undefined) void during(`Opening ${file.name}`, () => openFile(file))
  }
  return (
    <section class="card" aria-label="Your data">
      <h3>Your data</h3>
      <div class="buttons" inert={busy.value !== undefined}>
        <label class="button">
          Open a store’s file
          <input type="file" class="sr" onChange={event => opened(event.currentTarget)} />
        </label>
        <button type="button" onClick={save} disabled={session.value === undefined}>
          Save as a file
        </button>
        {isFile ? (
          <button type="button" onClick={() => void during('Opening', reopen)}>
            Close the file
          </button>
        ) : (
          <DeleteButton />
        )}
        <CheckButton />
      </div>
    </section>
  )
}
