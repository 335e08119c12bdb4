//! How the hub's parts learn that they are to stop: a flag that every task watches. It turns true once, and stays.

use tokio::sync::watch;

/// Returns when the hub is to stop, or when whoever could say so is gone.
pub async fn asked(flag: &mut watch::Receiver<bool>) {
    // The borrow that comes back must not live across an await of the caller.
    let _ = flag.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_asked_once_and_for_ever() {
        let (sender, mut flag) = watch::channel(false);
        let early = tokio::time::timeout(std::time::Duration::from_millis(5), asked(&mut flag)).await;
        assert!(early.is_err());
        sender.send(true).expect("somebody listens");
        asked(&mut flag).await;
        asked(&mut flag).await;
    }
}
