//! An etcd of our own: a process on loopback with a temporary folder, gone with us whatever happens.

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::driver::{MAX_TXN_OPS, Trouble};

/// How long an etcd may take until it answers.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// Memory that looks like a folder: etcd syncs each write, and here that costs nothing.
const MEMORY: &str = "/dev/shm";

/// Runs etcd until standard input ends, which it does when whoever holds the other end does so or dies, even if killed. The shell
/// itself lets the signals of a keyboard pass, for it has to clean up. `$1` is the folder, the rest is the command.
const KEEPER: &str = r#"
trap '' INT TERM HUP
folder=$1
shift
"$@" </dev/null >"$folder/log" 2>&1 &
etcd=$!
cat >/dev/null
kill -9 "$etcd"
wait "$etcd"
rm -rf "$folder"
"#;

/// A running etcd.
#[derive(Debug)]
pub(super) struct Server {
    keeper: Child,
    /// While this is open, etcd runs.
    life: Option<ChildStdin>,
    folder: TempDir,
    client: u16,
    peer: u16,
}

/// Two ports that are free.
fn free_ports() -> io::Result<[u16; 2]> {
    let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let [one, other] = &listeners;
    Ok([one.local_addr()?.port(), other.local_addr()?.port()])
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn temporary_folder() -> io::Result<TempDir> {
    let builder = || tempfile::Builder::new().prefix("palimpsest-conformance-").to_owned();
    if Path::new(MEMORY).is_dir()
        && let Ok(folder) = builder().tempdir_in(MEMORY)
    {
        return Ok(folder);
    }
    builder().tempdir()
}

impl Server {
    /// Starts an etcd and waits until it answers.
    ///
    /// # Errors
    /// If it can't be started or does not answer in time, with what it said last.
    pub(super) fn start(program: &Path) -> Result<Self, Trouble> {
        let folder = temporary_folder().map_err(Trouble::when("making a folder for etcd"))?;
        let [client, peer] = free_ports().map_err(Trouble::when("looking for free ports"))?;
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(folder.path())
            .arg(program)
            .args(arguments(folder.path(), [client, peer]))
            // Variables of this kind would be read as arguments.
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| !name.to_string_lossy().starts_with("ETCD")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Trouble::when("starting etcd"))?;
        let life = keeper.stdin.take();
        let server = Self { keeper, life, folder, client, peer };
        server.wait_until_healthy()?;
        Ok(server)
    }

    fn wait_until_healthy(&self) -> Result<(), Trouble> {
        let start = Instant::now();
        let health = format!("{}/health", self.client_url());
        while start.elapsed() < PATIENCE {
            let answer = ureq::get(&health).call().and_then(|mut answer| answer.body_mut().read_to_string());
            if answer.is_ok_and(|text| text.contains("true")) {
                return Ok(());
            }
            thread::sleep(PAUSE);
        }
        Err(Trouble::new(format!("etcd does not answer. It said:\n{}", self.last_words())))
    }

    /// What etcd has printed last.
    pub(super) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
    }

    /// Where its API is.
    pub(super) fn client_url(&self) -> String {
        url(self.client)
    }

    /// Where it talks with other etcds.
    pub(super) fn peer_url(&self) -> String {
        url(self.peer)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.life.take());
        // The shell has nothing to do but to clean up; there is nobody to tell if it fails.
        let _gone = self.keeper.wait();
    }
}

fn arguments(folder: &Path, [client, peer]: [u16; 2]) -> Vec<String> {
    let data: PathBuf = folder.join("data");
    let options = [
        ("name", "one".to_owned()),
        ("data-dir", data.display().to_string()),
        ("listen-client-urls", url(client)),
        ("advertise-client-urls", url(client)),
        ("listen-peer-urls", url(peer)),
        ("initial-advertise-peer-urls", url(peer)),
        ("initial-cluster", format!("one={}", url(peer))),
        ("max-txn-ops", MAX_TXN_OPS.to_string()),
        // The older logger makes this version fall when a hash is asked for that it refuses.
        ("logger", "zap".to_owned()),
        ("log-level", "error".to_owned()),
    ];
    options.into_iter().map(|(name, value)| format!("--{name}={value}")).collect()
}
