//! What is to go wrong with a medium, and when.

/// What can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A read.
    Read,
    /// A write.
    Write,
    /// A change of the length.
    Resize,
    /// A sync.
    Sync,
}

/// How long it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// Once.
    Once,
    /// From then on.
    ForGood,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Such an operation fails, after so many that succeed. A sync that fails loses some of what it was to make durable, for good, and
    /// nothing that comes later says so.
    Failing(Operation, u64, Lasting),
    /// One such operation panics, after so many that succeed, with nothing done.
    Panicking(Operation, u64),
    /// After so many writes, resizes and syncs the medium takes no more: as if the power were gone, except that it can be read.
    Broken(u64),
    /// The medium has room for so many bytes.
    Full(usize),
    /// After so many writes one is acknowledged and never made.
    LostWrite(u64),
    /// After so many writes one goes to another place.
    MisdirectedWrite(u64, usize),
    /// After so many reads one answers what was there when the fault was armed.
    StaleRead(u64),
    /// Syncs answer that all is well and do nothing.
    LyingSyncs,
}

/// What an armed fault does to one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    Fail(&'static str),
    Skip,
    Elsewhere(usize),
    Stale,
    Panic,
}

/// The faults that are armed.
#[derive(Clone, Debug, Default)]
pub(super) struct Armed {
    faults: Vec<Fault>,
    /// What could be read when a stale read was armed.
    pub(super) stale: Vec<u8>,
}

impl Armed {
    pub(super) fn arm(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// What happens to an operation that would leave the medium `len` bytes long. The first fault that is due decides.
    pub(super) fn judge(&mut self, operation: Operation, len: usize) -> Verdict {
        for place in 0..self.faults.len() {
            let Some(fault) = self.faults.get_mut(place) else { break };
            let verdict = fault.judge(operation, len);
            if verdict == Verdict::Fine {
                continue;
            }
            if !fault.lasts() {
                self.faults.remove(place);
            }
            return verdict;
        }
        Verdict::Fine
    }
}

/// Counts down; answers whether it is the operation's turn.
fn is_due(left: &mut u64) -> bool {
    let due = *left == 0;
    *left = left.saturating_sub(1);
    due
}

impl Fault {
    fn lasts(&self) -> bool {
        match self {
            Self::Failing(_, _, lasting) => *lasting == Lasting::ForGood,
            Self::Broken(_) | Self::Full(_) | Self::LyingSyncs => true,
            Self::Panicking(..) | Self::LostWrite(_) | Self::MisdirectedWrite(..) | Self::StaleRead(_) => {
                false
            }
        }
    }

    fn judge(&mut self, operation: Operation, len: usize) -> Verdict {
        let is_write = operation == Operation::Write;
        let (is_meant, left, verdict) = match self {
            Self::Failing(failing, left, _) => {
                (*failing == operation, Some(left), Verdict::Fail("the medium is faulty"))
            }
            Self::Panicking(panicking, left) => (*panicking == operation, Some(left), Verdict::Panic),
            Self::Broken(left) => {
                (operation != Operation::Read, Some(left), Verdict::Fail("the medium is broken"))
            }
            Self::Full(capacity) => {
                let grows = is_write || operation == Operation::Resize;
                (grows && len > *capacity, None, Verdict::Fail("no space is left on the medium"))
            }
            Self::LostWrite(left) => (is_write, Some(left), Verdict::Skip),
            Self::MisdirectedWrite(left, place) => (is_write, Some(left), Verdict::Elsewhere(*place)),
            Self::StaleRead(left) => (operation == Operation::Read, Some(left), Verdict::Stale),
            Self::LyingSyncs => (operation == Operation::Sync, None, Verdict::Skip),
        };
        if is_meant && left.is_none_or(is_due) { verdict } else { Verdict::Fine }
    }
}
