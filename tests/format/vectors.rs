//! Every vector is taken or refused for the reason that it states.
//! What a good one says of its content must be what the decoder finds.

use crate::decoders::judge;
use crate::vector::Vector;

#[test]
fn every_vector_is_judged_as_it_says() {
    let mut wrong = Vec::new();
    for vector in Vector::all() {
        if vector.is_table() {
            continue;
        }
        let verdict = judge(&vector);
        let said = verdict.as_ref().map_or_else(|class| *class, |()| "ok");
        if said != vector.expect {
            wrong.push(format!("{}: expected {}, was {said}", vector.name, vector.expect));
        }
    }
    assert!(wrong.is_empty(), "{} vectors:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_structure_has_good_and_bad_vectors() {
    let vectors = Vector::all();
    for vector in vectors.iter().filter(|vector| !vector.is_table()) {
        // Shapes are all bad and share their good ones with records.
        let exempt = matches!(&vector.structure[..], "record-shape" | "record-too-long");
        let of_structure = || vectors.iter().filter(|other| other.structure == vector.structure);
        let good = of_structure().filter(|other| other.expect == "ok").count();
        assert!(exempt || (good > 0 && good < of_structure().count()), "{}", vector.structure);
    }
}
