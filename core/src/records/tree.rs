//! The records tree: a B+ tree from positions to leaves that mostly grows at its right edge.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::branch::{Branch, BranchRef, Children, LeafRef, decode, fan_out};
use crate::error::{Error, PageKind, Result};
use crate::pager::{Header, PageId, PageRef, Pages};
use crate::revision::Position;
use crate::storage::Storage;

/// The closed leaves, in order. A clone costs O(1) and does not change any more.
///
/// Invariants: those of its nodes; leaves do not overlap; nodes other than the root are at least a quarter full, but for
/// those at the right edge.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    root: Arc<Branch>,
    fan_out: usize,
}

/// The last of some children that begins at or before a position.
fn last_before<T>(children: &[T], position: Position, first: impl Fn(&T) -> Position) -> Option<usize> {
    children.partition_point(|child| first(child) <= position).checked_sub(1)
}

impl Tree {
    pub(crate) fn new(page_bytes: usize) -> Self {
        let root = Arc::new(Branch::new(0, Children::Leaves(Vec::new())));
        Self { root, fan_out: fan_out(page_bytes) }
    }

    /// The leaf that holds a position if any does.
    pub(crate) fn find(&self, position: Position) -> Option<&LeafRef> {
        let mut node = &self.root;
        loop {
            match &node.children {
                Children::Leaves(leaves) => {
                    return leaves.get(last_before(leaves, position, |leaf| leaf.first)?);
                }
                Children::Branches(branches) => {
                    node = &branches.get(last_before(branches, position, |branch| branch.first)?)?.node;
                }
            }
        }
    }

    /// The first leaf that begins after a position.
    pub(crate) fn after(&self, position: Position) -> Option<&LeafRef> {
        fn seek(node: &Branch, position: Position) -> Option<&LeafRef> {
            match &node.children {
                Children::Leaves(leaves) => leaves.get(leaves.partition_point(|leaf| leaf.first <= position)),
                Children::Branches(branches) => {
                    let from = last_before(branches, position, |branch| branch.first).unwrap_or(0);
                    branches.iter().skip(from).find_map(|branch| seek(&branch.node, position))
                }
            }
        }
        seek(&self.root, position)
    }

    /// The last leaf that begins before a position.
    pub(crate) fn before(&self, position: Position) -> Option<&LeafRef> {
        fn seek(node: &Branch, position: Position) -> Option<&LeafRef> {
            match &node.children {
                Children::Leaves(leaves) => leaves.iter().rev().find(|leaf| leaf.first < position),
                Children::Branches(branches) => {
                    let to = branches.partition_point(|branch| branch.first < position);
                    branches.iter().take(to).rev().find_map(|branch| seek(&branch.node, position))
                }
            }
        }
        seek(&self.root, position)
    }

    /// All leaves, in order.
    pub(crate) fn leaves(&self) -> Leaves<'_> {
        Leaves { stack: alloc::vec![Children::iter(&self.root)] }
    }

    /// Adds a leaf. Pages of nodes that change go to `freed`.
    pub(crate) fn insert(&mut self, leaf: LeafRef, freed: &mut Vec<PageId>) {
        if let Some(right) = insert(&mut self.root, leaf, self.fan_out, freed) {
            let left =
                BranchRef { first: self.root.first().unwrap_or(leaf.first), node: Arc::clone(&self.root) };
            let level = self.root.level + 1;
            self.root = Arc::new(Branch::new(level, Children::Branches(alloc::vec![left, right])));
        }
    }

    /// Removes the leaf that begins at a position, if there is one. Pages of nodes that change go to `freed`.
    pub(crate) fn remove(&mut self, first: Position, freed: &mut Vec<PageId>) -> Option<LeafRef> {
        if self.find(first)?.first != first {
            return None;
        }
        let removed = remove(&mut self.root, first, self.fan_out, freed);
        while let Children::Branches(branches) = &self.root.children
            && branches.len() <= 1
        {
            let only = branches.first().map(|branch| Arc::clone(&branch.node));
            freed.extend(self.root.page());
            self.root = only.unwrap_or_else(|| Arc::new(Branch::new(0, Children::Leaves(Vec::new()))));
        }
        removed
    }

    /// Gives up the places of nodes that stand at a page or after it, and of those above them, for the next checkpoint to give them
    /// others. Pages of nodes that change go to `freed`.
    pub(crate) fn move_nodes(&mut self, limit: u32, freed: &mut Vec<PageId>) {
        fn is_beyond(node: &Branch, limit: u32) -> bool {
            let below = match &node.children {
                Children::Leaves(_) => false,
                Children::Branches(branches) => branches.iter().any(|branch| is_beyond(&branch.node, limit)),
            };
            below || node.page().is_some_and(|page| page.get() >= limit)
        }
        fn walk(node: &mut Arc<Branch>, limit: u32, freed: &mut Vec<PageId>) {
            if !is_beyond(node, limit) {
                return;
            }
            if let Children::Branches(branches) = &mut Branch::edit(node, freed).children {
                branches.iter_mut().for_each(|branch| walk(&mut branch.node, limit, freed));
            }
        }
        walk(&mut self.root, limit, freed);
    }

    /// Where the root stands, once a checkpoint has written it; `None` for an empty tree.
    pub(crate) fn place(&self) -> Option<PageRef> {
        self.root.place()
    }

    /// The nodes that have no page, children before their parents. Costs what changed since the last checkpoint.
    pub(super) fn without_page(&self) -> Vec<Arc<Branch>> {
        fn walk(node: &Arc<Branch>, found: &mut Vec<Arc<Branch>>) {
            if node.page().is_some() || node.len() == 0 {
                return;
            }
            if let Children::Branches(branches) = &node.children {
                branches.iter().for_each(|branch| walk(&branch.node, found));
            }
            found.push(Arc::clone(node));
        }
        let mut found = Vec::new();
        walk(&self.root, &mut found);
        found
    }

    /// The pages that the nodes stand on, each with how many of its bytes are filled.
    pub(crate) fn branch_pages(&self) -> Vec<(PageId, u32)> {
        fn walk(node: &Branch, found: &mut Vec<(PageId, u32)>) {
            found.extend(node.page().map(|page| (page, node.bytes())));
            if let Children::Branches(branches) = &node.children {
                branches.iter().for_each(|branch| walk(&branch.node, found));
            }
        }
        let mut found = Vec::new();
        walk(&self.root, &mut found);
        found
    }

    /// Reads all nodes below a root.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if a page is damaged.
    pub(crate) fn load<S: Storage>(pages: &Pages<S>, root: Option<PageRef>) -> Result<Self> {
        let mut tree = Self::new(pages.page_bytes());
        if let Some(place) = root {
            let page = pages.load(place, PageKind::Branch)?;
            let mut left = pages.most_pages();
            tree.root = load_node(pages, place, Header::of(&page).level(), &mut left)?;
        }
        if !tree.leaves().is_sorted_by(|a, b| a.first < b.first) {
            let page = root.map_or(0, |root| root.page);
            return Err(Error::corrupt(page, PageKind::Branch, "its leaves are out of order"));
        }
        Ok(tree)
    }

    /// Checks the invariants.
    ///
    /// # Errors
    /// Says which does not hold.
    pub(crate) fn check(&self) -> core::result::Result<(), &'static str> {
        fn walk(node: &Branch, fan_out: usize) -> bool {
            let below = match &node.children {
                Children::Leaves(leaves) => node.level == 0 && leaves.is_sorted_by(|a, b| a.first < b.first),
                Children::Branches(branches) => branches.iter().all(|branch| {
                    branch.node.level + 1 == node.level
                        && branch.node.len() > 0
                        && branch.node.first() == Some(branch.first)
                        && walk(&branch.node, fan_out)
                }),
            };
            below && node.len() <= fan_out
        }
        if !walk(&self.root, self.fan_out) {
            return Err("a node of the records tree is not as it must be");
        }
        if !self.leaves().is_sorted_by(|a, b| a.first < b.first) {
            return Err("the leaves of the records tree are out of order");
        }
        Ok(())
    }
}

/// Reads a node and all below it. `left` bounds how many nodes there can be, since pages that name each other in a
/// tangle could keep this busy for ever.
fn load_node<S: Storage>(pages: &Pages<S>, place: PageRef, level: u8, left: &mut u32) -> Result<Arc<Branch>> {
    *left = left.checked_sub(1).ok_or_else(|| {
        Error::corrupt(place.page, PageKind::Branch, "the tree has more nodes than there are pages")
    })?;
    let page = pages.load(place, PageKind::Branch)?;
    if Header::of(&page).level() != level {
        let what = format!("its level is {} instead of {level}", Header::of(&page).level());
        return Err(Error::corrupt(place.page, PageKind::Branch, what));
    }
    let entries = decode(&page, place.page)?;
    let Some(below) = level.checked_sub(1) else {
        return Ok(Arc::new(Branch::on_page(level, Children::Leaves(entries), place)));
    };
    let mut branches = Vec::with_capacity(entries.len());
    for entry in entries {
        branches.push(BranchRef { first: entry.first, node: load_node(pages, entry.place, below, left)? });
    }
    Ok(Arc::new(Branch::on_page(level, Children::Branches(branches), place)))
}

/// Adds a leaf below a node; answers with a new node to its right if it had to be split.
fn insert(node: &mut Arc<Branch>, leaf: LeafRef, most: usize, freed: &mut Vec<PageId>) -> Option<BranchRef> {
    let node = Branch::edit(node, freed);
    let level = node.level;
    match &mut node.children {
        Children::Leaves(leaves) => {
            let at = leaves.partition_point(|other| other.first < leaf.first);
            leaves.insert(at, leaf);
            let right = split(leaves, at, most)?;
            let first = right.first().map_or(leaf.first, |leaf| leaf.first);
            Some(BranchRef { first, node: Arc::new(Branch::new(level, Children::Leaves(right))) })
        }
        Children::Branches(branches) => {
            let at = last_before(branches, leaf.first, |branch| branch.first).unwrap_or(0);
            let branch = branches.get_mut(at)?;
            branch.first = branch.first.min(leaf.first);
            let right = insert(&mut branch.node, leaf, most, freed)?;
            branches.insert(at + 1, right);
            let right = split(branches, at + 1, most)?;
            let first = right.first().map_or(leaf.first, |branch| branch.first);
            Some(BranchRef { first, node: Arc::new(Branch::new(level, Children::Branches(right))) })
        }
    }
}

/// Takes the right part of a list that has grown too long: only the new entry if it is the last, so that a tree that grows
/// at its right edge has full nodes, else half.
fn split<T>(children: &mut Vec<T>, inserted: usize, most: usize) -> Option<Vec<T>> {
    if children.len() <= most {
        return None;
    }
    let at = if inserted + 1 == children.len() { inserted } else { children.len() / 2 };
    Some(children.split_off(at))
}

/// Removes a leaf that is known to be below a node.
fn remove(node: &mut Arc<Branch>, first: Position, most: usize, freed: &mut Vec<PageId>) -> Option<LeafRef> {
    let node = Branch::edit(node, freed);
    match &mut node.children {
        Children::Leaves(leaves) => {
            let at = last_before(leaves, first, |leaf| leaf.first)?;
            Some(leaves.remove(at))
        }
        Children::Branches(branches) => {
            let at = last_before(branches, first, |branch| branch.first)?;
            let child = branches.get_mut(at)?;
            let removed = remove(&mut child.node, first, most, freed);
            // A leaf that is inserted later may reach past the old beginning, so that has to move up now.
            child.first = child.node.first().unwrap_or(child.first);
            let len = child.node.len();
            if len == 0 {
                branches.remove(at);
            } else if len < most / 4 {
                merge(branches, at, most, freed);
            }
            removed
        }
    }
}

/// Joins the child at `at` with a neighbour if both fit well into one node.
fn merge(branches: &mut Vec<BranchRef>, at: usize, most: usize, freed: &mut Vec<PageId>) {
    let fits = |left: usize| {
        let len = |at: usize| branches.get(at).map(|branch| branch.node.len());
        len(left).zip(len(left + 1)).is_some_and(|(a, b)| a + b <= most - most / 4)
    };
    let Some(left) = [Some(at), at.checked_sub(1)].into_iter().flatten().find(|left| fits(*left)) else {
        return;
    };
    let right = branches.remove(left + 1);
    freed.extend(right.node.page());
    let Some(left) = branches.get_mut(left) else { return };
    match (&mut Branch::edit(&mut left.node, freed).children, &right.node.children) {
        (Children::Leaves(left), Children::Leaves(right)) => left.extend_from_slice(right),
        (Children::Branches(left), Children::Branches(right)) => left.extend_from_slice(right),
        (Children::Leaves(_), Children::Branches(_)) | (Children::Branches(_), Children::Leaves(_)) => {
            unreachable!("neighbours are of one level")
        }
    }
}

/// What is left of a node while all leaves are visited.
enum Rest<'a> {
    Leaves(core::slice::Iter<'a, LeafRef>),
    Branches(core::slice::Iter<'a, BranchRef>),
}

impl Children {
    fn iter(node: &Branch) -> Rest<'_> {
        match &node.children {
            Self::Leaves(leaves) => Rest::Leaves(leaves.iter()),
            Self::Branches(branches) => Rest::Branches(branches.iter()),
        }
    }
}

/// All leaves of a tree, in order.
pub(crate) struct Leaves<'a> {
    stack: Vec<Rest<'a>>,
}

impl<'a> Iterator for Leaves<'a> {
    type Item = &'a LeafRef;

    fn next(&mut self) -> Option<&'a LeafRef> {
        loop {
            let below = match self.stack.last_mut()? {
                Rest::Leaves(leaves) => match leaves.next() {
                    Some(leaf) => return Some(leaf),
                    None => None,
                },
                Rest::Branches(branches) => branches.next().map(|branch| Children::iter(&branch.node)),
            };
            match below {
                Some(rest) => self.stack.push(rest),
                None => {
                    self.stack.pop();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    fn leaf(main: u64) -> LeafRef {
        let place = PageRef { page: main as u32, checksum: 0 };
        LeafRef { first: Position::new(main, 0), place, used: 1, count: 1 }
    }

    #[test]
    fn the_tree_agrees_with_an_ordered_map_through_inserts_removals_and_clones() {
        let mut tree = Tree::new(512);
        let mut model = BTreeMap::new();
        let mut old = Vec::new();
        let mut seed = 11u64;
        let mut freed = Vec::new();
        for step in 0..20_000u64 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let random = seed >> 33;
            if random % 5 < 3 - step / 10_000 {
                let main = if random.is_multiple_of(2) { random % 5000 } else { step + 5000 };
                if model.insert(main, leaf(main)).is_none() {
                    tree.insert(leaf(main), &mut freed);
                }
            } else if let Some((&main, _)) = model.range(random % 9000..).next() {
                assert_eq!(tree.remove(Position::new(main, 0), &mut freed), model.remove(&main));
                assert_eq!(tree.remove(Position::new(main, 0), &mut freed), None);
            }
            if step % 500 == 0 {
                tree.check().unwrap();
                assert!(tree.leaves().eq(model.values()));
                old.push((tree.clone(), model.clone()));
            }
            let position = Position::new(random % 9000, 0);
            assert_eq!(tree.find(position), model.range(..=position.main).next_back().map(|(_, leaf)| leaf));
            assert_eq!(tree.after(position), model.range(position.main + 1..).next().map(|(_, leaf)| leaf));
            assert_eq!(tree.before(position), model.range(..position.main).next_back().map(|(_, leaf)| leaf));
        }
        for (tree, model) in old {
            assert!(tree.leaves().eq(model.values()), "a clone does not change");
        }
    }

    #[test]
    fn a_tree_that_grows_at_its_right_edge_has_full_nodes() {
        let mut tree = Tree::new(512);
        (0..10_000).for_each(|main| tree.insert(leaf(main), &mut Vec::new()));
        let nodes = tree.without_page().len();
        assert!(nodes <= 10_000 / 16 * 107 / 100 + 4, "{nodes} nodes");
    }
}
