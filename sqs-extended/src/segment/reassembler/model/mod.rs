//! Tests the reassembler against a model of a standard queue. The queue delivers messages in any order and more than once.
//! Sometimes it never receives one of them.

mod case;
mod message;
mod sender;
mod world;

use proptest::prelude::*;

use self::case::{cases, config};
use self::world::World;

proptest! {
    #![proptest_config(config())]
    #[test]
    fn no_payload_is_lost_mixed_or_delivered_twice_at_a_time(case in cases()) {
        let mut world = World::new(&case);
        if world.is_empty() {
            return Ok(());
        }
        for _ in 0..case.steps {
            world.step();
        }
        world.finish();
    }
}
