//! Files are what was written, and say so when they are not.

use super::*;
use crate::Error;
use std::path::PathBuf;

fn folder() -> PathBuf {
    let folder =
        std::env::temp_dir().join(format!("nigh-format-{}-{:?}", std::process::id(), std::thread::current().id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn write(path: &std::path::Path) {
    let mut file = FileWriter::create(path).unwrap();
    file.section("bytes", &[1u8, 2, 3]).unwrap();
    file.section("none", &[] as &[f64]).unwrap();
    file.parts("numbers", |part| {
        part(&[1.5f32, -2.0])?;
        part(&[3.0])
    })
    .unwrap();
    assert_eq!(file.finish().unwrap(), std::fs::metadata(path).unwrap().len());
}

#[test]
fn sections_come_back() {
    let folder = folder();
    let path = folder.join("back.nigh");
    write(&path);
    let file = IndexFile::open(&path).unwrap();
    assert_eq!(&*file.column::<u8>("bytes").unwrap(), [1, 2, 3]);
    assert_eq!(&*file.column_of::<f32>("numbers", 3).unwrap(), [1.5, -2.0, 3.0]);
    assert!(file.column::<f64>("none").unwrap().is_empty() && file.has("none") && !file.has("more"));
    file.verify(&()).unwrap();
    for error in [
        file.column::<u8>("more").err(),
        file.column::<f64>("numbers").err(),
        file.column_of::<f32>("numbers", 2).err(),
    ] {
        assert!(matches!(error, Some(Error::File { code: "CORRUPT_INDEX", .. })), "{error:?}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn every_changed_byte_is_noticed() {
    let folder = folder();
    let path = folder.join("bytes.nigh");
    write(&path);
    let good = std::fs::read(&path).unwrap();
    let outcome = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        IndexFile::open(&path).and_then(|file| file.verify(&()))
    };
    assert_eq!(outcome(&good), Ok(()));
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(outcome(&bad).is_err(), "byte {at}");
        assert!(outcome(&good[..at]).is_err(), "cut off at {at}");
    }
    assert!(outcome(&[&good[..], &[0]].concat()).is_err());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn nothing_is_there_before_the_end() {
    let folder = folder();
    let path = folder.join("end.nigh");
    let mut file = FileWriter::create(&path).unwrap();
    file.section("bytes", &[1u8]).unwrap();
    assert!(!path.exists());
    drop(file);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    let missing = FileWriter::create(&folder.join("no/such")).err();
    assert!(matches!(missing, Some(Error::File { code: "OUTPUT_UNWRITABLE", .. })));
    std::fs::remove_dir_all(folder).unwrap();
}
