//! Operator state as a damaged or foreign log would give it: read, or called corrupt.

use std::time::Duration;

use headwater_flow::operators::time::{WatermarkConfig, Watermarks};
use headwater_flow::runtime::positions::Positions;

/// A byte for the kind; the state.
pub fn run(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 2 {
        0 => {
            if let Ok(positions) = Positions::decode(bytes) {
                assert_eq!(
                    Positions::decode(&positions.encode()).expect("what was written is read").first(),
                    positions.first()
                );
            }
        }
        _ => {
            let second = Duration::from_secs(1);
            let config = WatermarkConfig { disorder: second, idle: second, ..WatermarkConfig::default() };
            if let Ok(mut watermarks) = Watermarks::decode(config, bytes) {
                let _ = watermarks.encode();
                let _ = watermarks.advance();
            }
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    vec![vec![0; 24], vec![1; 40]]
}
