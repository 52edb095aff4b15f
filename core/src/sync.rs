//! Locks: std's where there is std, spinning ones elsewhere. The only file that knows the difference.
//!
//! A lock is held for a few loads and stores only, never across a call into a storage. A panic while one is held leaves
//! plain data behind that is whole at every step, so std's poisoning is ignored.

#[cfg(feature = "std")]
mod imp {
    use std::sync::{MutexGuard, PoisonError, RwLockReadGuard, RwLockWriteGuard};

    /// A lock for one holder.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// A lock for many readers or one writer.
    #[derive(Debug, Default)]
    pub(crate) struct RwLock<T>(std::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::sync::RwLock::new(value))
        }

        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().unwrap_or_else(PoisonError::into_inner)
        }
    }

    pub(crate) use std::sync::OnceLock as Once;
}

#[cfg(not(feature = "std"))]
mod imp {
    /// A lock for one holder.
    pub(crate) type Mutex<T> = spin::Mutex<T>;
    /// A lock for many readers or one writer.
    pub(crate) type RwLock<T> = spin::RwLock<T>;

    /// A value that is set once.
    #[derive(Debug, Default)]
    pub(crate) struct Once<T>(spin::Once<T>);

    impl<T> Once<T> {
        pub(crate) const fn new() -> Self {
            Self(spin::Once::new())
        }

        pub(crate) fn get(&self) -> Option<&T> {
            self.0.get()
        }

        pub(crate) fn set(&self, value: T) -> Result<(), T> {
            let mut value = Some(value);
            self.0.call_once(|| value.take().expect("a Once runs its closure at most once"));
            value.map_or(Ok(()), Err)
        }
    }
}

pub(crate) use imp::{Mutex, Once, RwLock};
