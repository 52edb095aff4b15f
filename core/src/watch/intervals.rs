//! An interval tree: which intervals hold a key, without looking at the others.
//!
//! A treap (R. Seidel and C. Aragon, "Randomized search trees", 1996) ordered by the intervals' starts, in which each node knows how far
//! the intervals below it reach (T. Cormen and others, "Introduction to Algorithms", section "Interval trees"). The priorities are
//! hashes of the intervals themselves, so that the same intervals always make the same tree.
//!
//! It is our own because the crates that take any ordered bounds leave out only one side of the tree when they search: with 10,000
//! disjoint intervals, finding the one that holds a key looked at half of them, and a put took 70 times as long.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::checksum::checksum;

/// Where an interval ends: before this key, or after all keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Before(Arc<[u8]>),
    AfterAll,
}

impl End {
    fn is_after(&self, key: &[u8]) -> bool {
        match self {
            Self::Before(end) => key < &**end,
            Self::AfterAll => true,
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Before(a), Self::Before(b)) => a.cmp(b),
            (Self::Before(_), Self::AfterAll) => Ordering::Less,
            (Self::AfterAll, Self::Before(_)) => Ordering::Greater,
            (Self::AfterAll, Self::AfterAll) => Ordering::Equal,
        }
    }
}

/// An interval of keys that holds at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) start: Arc<[u8]>,
    pub(super) end: End,
}

impl Interval {
    fn compare(&self, other: &Self) -> Ordering {
        self.start.cmp(&other.start).then_with(|| self.end.compare(&other.end))
    }

    fn priority(&self) -> u64 {
        let end: &[u8] = match &self.end {
            End::Before(end) => end,
            End::AfterAll => &[],
        };
        checksum(checksum(0, 0, end), 0, &self.start)
    }
}

type Link = Option<Box<Node>>;

/// Invariants: intervals to the left are less, to the right greater; no priority below is greater; `reach` is the last of its own end and
/// those below; there is at least one number.
#[derive(Clone, Debug)]
struct Node {
    interval: Interval,
    ids: Vec<u64>,
    priority: u64,
    reach: End,
    left: Link,
    right: Link,
}

impl Node {
    fn new(interval: Interval, id: u64) -> Box<Self> {
        let (priority, reach) = (interval.priority(), interval.end.clone());
        Box::new(Self { interval, ids: vec![id], priority, reach, left: None, right: None })
    }

    /// Finds out anew how far the intervals from here on down reach.
    fn measure(&mut self) {
        let below = self.left.iter().chain(&self.right).map(|node| &node.reach);
        let last = below.chain([&self.interval.end]).max_by(|a, b| a.compare(b));
        self.reach = last.unwrap_or(&self.interval.end).clone();
    }
}

/// Numbers by intervals of keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Intervals {
    root: Link,
    len: usize,
}

/// The intervals before one, and those that are not.
fn split(link: Link, at: &Interval) -> (Link, Link) {
    let Some(mut node) = link else { return (None, None) };
    if node.interval.compare(at).is_lt() {
        let (before, rest) = split(node.right.take(), at);
        node.right = before;
        node.measure();
        (Some(node), rest)
    } else {
        let (before, rest) = split(node.left.take(), at);
        node.left = rest;
        node.measure();
        (before, Some(node))
    }
}

/// Both, all intervals of the first being less.
fn join(left: Link, right: Link) -> Link {
    match (left, right) {
        (None, link) | (link, None) => link,
        (Some(mut left), Some(mut right)) => {
            if left.priority >= right.priority {
                left.right = join(left.right.take(), Some(right));
                left.measure();
                Some(left)
            } else {
                right.left = join(Some(left), right.left.take());
                right.measure();
                Some(right)
            }
        }
    }
}

fn insert(link: &mut Link, interval: Interval, id: u64) {
    let Some(node) = link else {
        *link = Some(Node::new(interval, id));
        return;
    };
    let ordering = interval.compare(&node.interval);
    if ordering.is_eq() {
        node.ids.push(id);
        return;
    }
    if interval.priority() > node.priority {
        let mut new = Node::new(interval, id);
        (new.left, new.right) = split(link.take(), &new.interval);
        new.measure();
        *link = Some(new);
        return;
    }
    insert(if ordering.is_lt() { &mut node.left } else { &mut node.right }, interval, id);
    node.measure();
}

/// Takes a number away. Answers whether it was there.
fn remove(link: &mut Link, interval: &Interval, id: u64) -> bool {
    let Some(node) = link else { return false };
    let removed = match interval.compare(&node.interval) {
        Ordering::Less => remove(&mut node.left, interval, id),
        Ordering::Greater => remove(&mut node.right, interval, id),
        Ordering::Equal => {
            let before = node.ids.len();
            node.ids.retain(|other| *other != id);
            let removed = node.ids.len() < before;
            if node.ids.is_empty() {
                *link = join(node.left.take(), node.right.take());
                return removed;
            }
            removed
        }
    };
    node.measure();
    removed
}

impl Intervals {
    /// How many numbers there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn add(&mut self, interval: Interval, id: u64) {
        insert(&mut self.root, interval, id);
        self.len += 1;
    }

    pub(super) fn remove(&mut self, interval: &Interval, id: u64) {
        self.len -= usize::from(remove(&mut self.root, interval, id));
    }

    /// Whether a number is at just this interval.
    pub(super) fn has(&self, interval: &Interval, id: u64) -> bool {
        let mut link = &self.root;
        while let Some(node) = link {
            link = match interval.compare(&node.interval) {
                Ordering::Less => &node.left,
                Ordering::Greater => &node.right,
                Ordering::Equal => return node.ids.contains(&id),
            };
        }
        false
    }

    /// Adds to `found` the numbers of all intervals that hold a key. Costs O(log n), and as much for each that is found.
    pub(super) fn holding(&self, key: &[u8], found: &mut Vec<u64>) {
        fn visit(link: &Link, key: &[u8], found: &mut Vec<u64>) {
            let Some(node) = link else { return };
            if !node.reach.is_after(key) {
                return;
            }
            visit(&node.left, key, found);
            if &*node.interval.start <= key {
                if node.interval.end.is_after(key) {
                    found.extend_from_slice(&node.ids);
                }
                visit(&node.right, key, found);
            }
        }
        visit(&self.root, key, found);
    }

    /// Checks the invariants.
    ///
    /// # Errors
    /// Says which does not hold.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        fn walk(link: &Link, seen: &mut Vec<Interval>) -> Result<usize, &'static str> {
            let Some(node) = link else { return Ok(0) };
            let before = walk(&node.left, seen)?;
            seen.push(node.interval.clone());
            let after = walk(&node.right, seen)?;
            let mut measured = node.clone();
            measured.measure();
            let is_sound = node.left.iter().chain(&node.right).all(|below| below.priority <= node.priority)
                && measured.reach == node.reach
                && !node.ids.is_empty();
            if is_sound {
                Ok(before + node.ids.len() + after)
            } else {
                Err("a node of the interval tree is not as it must be")
            }
        }
        let mut seen = Vec::new();
        let len = walk(&self.root, &mut seen)?;
        if len != self.len || !seen.is_sorted_by(|a, b| a.compare(b).is_lt()) {
            return Err("the interval tree is out of order, or counts wrong");
        }
        Ok(())
    }
}
