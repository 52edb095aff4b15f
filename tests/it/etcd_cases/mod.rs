//! The behaviours that etcd's own tests of its storage cover, each as a worked case in our words.

mod watch_bounds;
