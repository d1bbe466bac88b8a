//! The example `thumbnailer`: pictures become small while they arrive, and those of strangers do no harm.

use super::{LONG, path};
use bytes::Bytes;
use flate2::{Compression, Crc, write::ZlibEncoder};
use futures::StreamExt;
use iof_tests::{call::Uploaded, guests::handler_component, server::Server};
use std::io::Write;
use tokio::sync::mpsc;
use tokio::time::timeout;

async fn thumbnailer() -> (Server, Uploaded) {
    let server = Server::start("").await;
    let declaration = super::examples::declared("thumbnailer", &[]);
    let function = server
        .deploy(handler_component("thumbnailer"), &declaration)
        .await;
    (server, function)
}

/// A chunk of a PNG.
fn chunk(kind: &str, data: &[u8]) -> Vec<u8> {
    let all = [kind.as_bytes(), data].concat();
    let mut crc = Crc::new();
    crc.update(&all);
    let length = u32::try_from(data.len()).unwrap();
    [&length.to_be_bytes()[..], &all, &crc.sum().to_be_bytes()].concat()
}

/// A PNG that states a width and a height, of pixels of one byte (colour type 0) or three (2).
fn png((width, height): (u32, u32), colour: u8, interlaced: bool, raw: &[u8]) -> Vec<u8> {
    let mut head = [width.to_be_bytes(), height.to_be_bytes()].concat();
    head.extend([8, colour, 0, 0, u8::from(interlaced)]);
    let mut packed = ZlibEncoder::new(vec![], Compression::fast());
    packed.write_all(raw).unwrap();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk("IHDR", &head),
        // What unpacks to much, and is not asked for.
        chunk("zTXt", &[b"Comment\0\0".to_vec(), zeros(64 << 20)].concat()),
        chunk("IDAT", &packed.finish().unwrap()),
        chunk("IEND", b""),
    ]
    .concat()
}

fn zeros(count: usize) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(vec![], Compression::fast());
    packed.write_all(&vec![0; count]).unwrap();
    packed.finish().unwrap()
}

/// Rows of a picture of which the left half is red and the right one blue.
fn halves(width: usize, height: usize) -> Vec<u8> {
    let (red, blue) = ([255, 0, 0], [0, 0, 255]);
    let row = [vec![0], red.repeat(width / 2), blue.repeat(width / 2)].concat();
    row.repeat(height)
}

/// The width, the height and the pixels of a small picture.
fn decoded(bytes: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
        .read_info()
        .unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, info.height, pixels)
}

#[tokio::test]
async fn pictures_become_small() {
    let (server, function) = thumbnailer().await;
    let post = async |below: &str, body: Vec<u8>| {
        let request = server.request("POST", &path(&function, below));
        let answer = server.answer(request.body(body)).await;
        assert_eq!(answer.http, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), "image/png");
        decoded(&answer.body)
    };
    let picture = png((600, 400), 2, false, &halves(600, 400));
    let (width, height, pixels) = post("/", picture.clone()).await;
    assert_eq!((width, height), (256, 170));
    assert_eq!(pixels[..4], [255, 0, 0, 255]);
    assert_eq!(pixels[pixels.len() - 4..], [0, 0, 255, 255]);
    let (width, height, _) = post("/?size=64", picture).await;
    assert_eq!((width, height), (64, 42));
    let grey = png((2, 2), 0, false, &[0, 10, 20, 0, 30, 40]);
    let (width, height, pixels) = post("/?size=1", grey).await;
    assert_eq!((width, height, &pixels[..]), (1, 1, &[25, 25, 25, 255][..]));
    let digit = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crates/infer/tests/models/digit.jpg"
    );
    let digit = std::fs::read(digit).unwrap();
    let (width, height, _) = post("/?size=4", digit).await;
    assert_eq!(width.max(height), 4);
}

/// The pixels of a bomb are read row by row, within the limits of a small function.
#[tokio::test]
async fn few_bytes_that_unpack_to_many_are_held_row_by_row() {
    let (server, function) = thumbnailer().await;
    let bomb = png((8000, 8000), 0, false, &vec![0; 8001 * 8000]);
    assert!(bomb.len() < 1 << 20, "{}", bomb.len());
    let request = server.request("POST", &path(&function, "/"));
    let answer = server.answer(request.body(bomb)).await;
    assert_eq!(answer.http, 200, "{}", answer.text());
    assert_eq!(decoded(&answer.body).0, 256);
}

#[tokio::test]
async fn hostile_pictures_are_refused() {
    let (server, function) = thumbnailer().await;
    let small = halves(600, 400);
    let broken = png((600, 400), 2, false, &small);
    // A head of a JPEG: a progressive frame with three colours.
    let jpeg = |width: u16, height: u16| {
        let mut jpeg = b"\xff\xd8\xff\xc2\x00\x11\x08".to_vec();
        jpeg.extend([height.to_be_bytes(), width.to_be_bytes()].concat());
        jpeg.extend(b"\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01");
        jpeg
    };
    for (body, status, words) in [
        (
            png((60_000, 60_000), 2, false, b""),
            422,
            "too many pixels: got 3600000000",
        ),
        (
            png((4_000_000_000, 4_000_000_000), 0, false, b""),
            422,
            "too long a side: got 4000000000",
        ),
        (png((64_000_000, 1), 0, false, b""), 422, "too long a side"),
        (png((0, 0), 0, false, b""), 422, "broken"),
        (png((600, 400), 2, true, &small), 422, "interlaced"),
        // Fewer rows than it states, and a part of the file.
        (png((600, 400), 2, false, &small[..1000]), 422, "broken"),
        (broken[..200].to_vec(), 422, "broken"),
        (jpeg(60_000, 60_000), 422, "too many pixels: got 3600000000"),
        (jpeg(4_000, 4_000), 422, "at most 10000000"),
        (jpeg(600, 400), 422, "broken"),
        (b"\xff\xd8".to_vec(), 422, "broken"),
        (b"GIF89a".to_vec(), 415, "not a picture"),
        (vec![], 415, "not a picture"),
    ] {
        let request = server.request("POST", &path(&function, "/"));
        let answer = server.answer(request.body(body)).await;
        let text = answer.text();
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (status, ""),
            "{words}: {text}"
        );
        assert!(text.contains(words), "{words}: {text}");
    }
    for size in ["0", "1025", "x"] {
        let request = server.request("POST", &path(&function, &format!("/?size={size}")));
        assert_eq!(server.answer(request.body("x")).await.http, 400, "{size}");
    }
    let large = server.request("POST", &path(&function, "/"));
    let answer = server.answer(large.body(vec![0; (32 << 20) + 1])).await;
    assert_eq!(answer.fault(), "request-body", "{}", answer.text());
}

/// The first rows of the small picture leave before the last ones of the large one have come; if these never come, it is cut.
#[tokio::test]
async fn a_small_picture_leaves_while_the_large_one_arrives() {
    let (server, function) = thumbnailer().await;
    // Rows that do not compress.
    let mut state = 1_u32;
    let mut row = || {
        let mut row = vec![0];
        row.extend((0..600 * 3).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        }));
        row
    };
    let raw: Vec<u8> = (0..600).flat_map(|_| row()).collect();
    let whole = png((600, 600), 2, false, &raw);
    for is_whole in [true, false] {
        let (sender, receiver) = mpsc::channel::<Bytes>(2);
        let pieces = futures::stream::unfold(receiver, async |mut receiver| {
            let piece = receiver.recv().await?;
            Some((Ok::<_, std::io::Error>(piece), receiver))
        });
        let (first, rest) = whole.split_at(whole.len() * 3 / 4);
        sender.send(Bytes::copy_from_slice(first)).await.unwrap();
        let request = server.request("POST", &path(&function, "/"));
        let request = request.body(reqwest::Body::wrap_stream(pieces)).send();
        let response = timeout(LONG, request).await.unwrap().unwrap();
        assert_eq!(response.status(), 200);
        let mut body = response.bytes_stream();
        let mut small = timeout(LONG, body.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap()
            .to_vec();
        assert!(small.starts_with(b"\x89PNG"), "{small:?}");
        if is_whole {
            sender.send(Bytes::copy_from_slice(rest)).await.unwrap();
        }
        drop(sender);
        let mut is_cut = false;
        while let Some(piece) = timeout(LONG, body.next()).await.unwrap() {
            match piece {
                Ok(piece) => small.extend(piece),
                Err(_) => is_cut = true,
            }
        }
        assert_eq!(is_cut, !is_whole);
        if is_whole {
            assert_eq!(decoded(&small).0, 256);
        }
    }
}
