//! Memory for prepared pictures, shared by all requests.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;
use crate::options::ServerLimits;

/// Memory is counted in pieces of this many bytes.
const BYTES_PER_PERMIT: u64 = 64 << 10;

/// The memory that the pictures of all requests may take between being prepared and being answered about.
#[derive(Debug, Clone)]
pub(crate) struct PreparedRoom {
    permits: Arc<Semaphore>,
    bytes: u64,
}

/// A part of it, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    _permit: OwnedSemaphorePermit,
}

impl PreparedRoom {
    pub(crate) fn new(limits: &ServerLimits) -> Self {
        let bytes = limits.prepared_bytes as u64;
        Self { permits: Arc::new(Semaphore::new(permits(bytes) as usize)), bytes }
    }

    /// Waits for room.
    ///
    /// # Errors
    /// If there is never so much.
    pub(crate) async fn take(&self, bytes: u64) -> Result<Room, ApiError> {
        if bytes > self.bytes {
            return Err(ApiError::bad_request(format!(
                "the pictures of this request need {} MiB, the limit is {} MiB; give fewer, or lower \
                 mm_processor_kwargs.max_pixels",
                bytes >> 20,
                self.bytes >> 20
            )));
        }
        let permit = self.permits.clone().acquire_many_owned(permits(bytes)).await;
        permit.map(|permit| Room { _permit: permit }).map_err(|_| ApiError::internal())
    }
}

fn permits(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(BYTES_PER_PERMIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_comes_back_and_what_never_fits_is_refused() {
        let limits = ServerLimits { prepared_bytes: 1 << 20, ..ServerLimits::default() };
        let room = PreparedRoom::new(&limits);
        assert!(room.take((1 << 20) + 1).await.is_err());
        let taken = room.take(1 << 20).await.unwrap();
        assert_eq!(room.permits.available_permits(), 0);
        drop(taken);
        room.take(1 << 20).await.unwrap();
    }
}
