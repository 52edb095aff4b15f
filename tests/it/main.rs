//! The tests that cross the parts of Palimpsest, in one program.

#[cfg(test)]
mod auto_compaction;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod compaction;
#[cfg(test)]
mod cost;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod dry_run;
#[cfg(test)]
mod etcd_cases;
#[cfg(test)]
mod etcd_snapshot;
#[cfg(test)]
mod exchange;
#[cfg(test)]
mod fuzzing;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod hash;
#[cfg(test)]
mod holds;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod known_bugs;
#[cfg(test)]
mod lying;
#[cfg(test)]
mod model;
#[cfg(test)]
mod openers;
#[cfg(test)]
mod page_map;
#[cfg(test)]
mod pins;
#[cfg(test)]
mod quota;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod salvage;
#[cfg(test)]
mod semantics;
#[cfg(test)]
mod shrink;
#[cfg(test)]
mod thinning;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod times;
