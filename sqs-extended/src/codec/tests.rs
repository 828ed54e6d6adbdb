use super::*;

#[test]
fn a_codec_does_nothing_unless_told() {
    assert!(Encoding::default().is_plain());
}
