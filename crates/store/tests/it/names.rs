//! Names of functions, and the list of them.

use iof_store::{Calls, Error, FunctionFilter, NewFunction, Percent, Rollout, Store, Summary};

use super::{Home, digest, files, function, outside, version};

fn named(name: &str) -> NewFunction {
    NewFunction {
        name: Some(name.into()),
        ..function(name)
    }
}

async fn create(store: &Store, name: &str) -> i64 {
    store
        .create_function(named(name))
        .await
        .unwrap()
        .function_id
}

#[tokio::test]
async fn a_function_is_found_by_its_name() {
    let home = Home::new();
    let store = home.open().await;
    store.create_function(function("nameless")).await.unwrap();
    assert_eq!(create(&store, "send-email").await, 2);
    store.create_function(function("nameless")).await.unwrap();
    for reopened in [false, true] {
        let store = home.again(&store, reopened).await;
        assert_eq!(store.named("send-email").await.unwrap(), Some(2));
        for other in ["", "send", "send-email-2", "Send-Email", "send_email", "2"] {
            assert_eq!(store.named(other).await.unwrap(), None, "{other:?}");
        }
        let read = store.function(2).await.unwrap().unwrap();
        assert_eq!(read.name.as_deref(), Some("send-email"));
        assert!(format!("{read:?}").contains("send-email"));
        assert_eq!(store.function(1).await.unwrap().unwrap().name, None);
    }
}

#[tokio::test]
async fn a_name_is_a_label_that_begins_with_a_letter() {
    let home = Home::new();
    let store = home.open().await;
    let longest = format!("a{}", "-b0".repeat(20)) + "cd";
    assert_eq!(longest.len(), iof_store::MAX_FUNCTION_NAME);
    for good in ["a", "a1", "a--b", "hello-world-2", &longest] {
        let id = create(&store, good).await;
        assert_eq!(store.named(good).await.unwrap(), Some(id), "{good}");
    }
    let all = store.list().await.unwrap();
    let too_long = format!("{longest}e");
    for bad in [
        "", "-", "-a", "a-", "1", "1a", "A", "aB", "a_b", "a.b", "a b", " a", "a\n", "é", "aé",
        "a/b", &too_long,
    ] {
        let error = store.create_function(named(bad)).await.unwrap_err();
        assert_eq!(error.code(), "invalid", "{bad:?}");
        assert!(error.to_string().contains("such as send-email"), "{error}");
    }
    assert_eq!(store.list().await.unwrap(), all);
    assert_eq!(files(&home.objects("source")).len(), all.len());
}

#[tokio::test]
async fn a_taken_name_is_refused_and_free_again_after_a_deletion() {
    let home = Home::new();
    let store = home.open().await;
    create(&store, "hello").await;
    let again = NewFunction {
        name: Some("hello".into()),
        ..function("other bytes")
    };
    let error = store.create_function(again.clone()).await.unwrap_err();
    assert!(matches!(&error, Error::NameTaken { name } if name == "hello"));
    assert_eq!(error.code(), "name_taken");
    assert!(error.to_string().contains("hello"), "{error}");
    assert_eq!(store.list().await.unwrap(), [1]);
    let left = files(&home.objects("source"));
    assert_eq!(left, [home.source(digest(b"hello"))], "nor its source");

    // A refused upload must not remove the source that another function runs.
    let error = store.create_function(named("hello")).await.unwrap_err();
    assert_eq!(error.code(), "name_taken");
    assert_eq!(files(&home.objects("source")), left);

    assert!(store.delete_function(1).await.unwrap());
    assert_eq!(store.named("hello").await.unwrap(), None);
    let created = store.create_function(again).await.unwrap();
    assert_eq!(
        store.named("hello").await.unwrap(),
        Some(created.function_id)
    );
    assert_ne!(created.function_id, 1, "its number is not free again");
}

/// Of sixteen uploads at once with the same name, one gets it, and no other write of the batch fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_name_is_given_once() {
    let home = Home::new();
    let store = home.open().await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..32 {
        let store = store.clone();
        tasks.spawn(async move {
            let name = (task % 2 == 0).then(|| "wanted".to_owned());
            let wanted = name.is_some();
            let new = NewFunction {
                name,
                ..function(format!("{task}"))
            };
            match store.create_function(new).await {
                Ok(_) => u32::from(wanted),
                Err(error) => {
                    assert!(wanted && error.code() == "name_taken", "{error}");
                    0
                }
            }
        });
    }
    assert_eq!(tasks.join_all().await.iter().sum::<u32>(), 1);
    assert_eq!(store.list().await.unwrap().len(), 17);
    assert_eq!(files(&home.objects("source")).len(), 17);
}

#[tokio::test]
async fn a_name_cannot_be_changed_even_by_sql() {
    let home = Home::new();
    let store = home.open().await;
    create(&store, "hello").await;
    store.create_function(function("nameless")).await.unwrap();
    for change in [
        "UPDATE functions SET name = 'other' WHERE function_id = 1",
        "UPDATE functions SET name = NULL WHERE function_id = 1",
        "UPDATE functions SET name = 'late' WHERE function_id = 2",
    ] {
        let refused = sqlx::query(change)
            .execute(&mut outside(&home).await)
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("a name never changes"));
    }
    store.set_state(1, "changed".into()).await.unwrap();
    assert_eq!(store.named("hello").await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_list_shows_each_function_as_it_is() {
    let home = Home::new();
    let store = home.open().await;
    assert_eq!(
        store
            .functions(&FunctionFilter::default(), 0, 9)
            .await
            .unwrap(),
        []
    );
    let private = NewFunction {
        private: true,
        description: "é".into(),
        ..named("hello")
    };
    store.create_function(private).await.unwrap();
    store.create_function(function("two")).await.unwrap();
    for (source, rollout) in [
        ("a", Rollout::Active),
        ("b", Rollout::Canary(Percent::new(7).unwrap())),
        ("c", Rollout::Idle),
    ] {
        let added = store.add_version(1, version(source), rollout);
        added.await.unwrap();
    }
    let calls = Calls {
        function_id: 1,
        invocations: 5,
        guest_ns: 0,
        latest_ns: 0,
        newest: vec![],
    };
    store.record_calls(vec![calls], 9).await.unwrap();

    let created = |read: Option<iof_store::Function>| read.unwrap().created_at;
    let one = Summary {
        function_id: 1,
        name: Some("hello".into()),
        description: "é".into(),
        private: true,
        created_at: created(store.function(1).await.unwrap()),
        version: 2,
        versions: 4,
        canary: Some((3, Percent::new(7).unwrap())),
        invocations: 5,
    };
    let two = Summary {
        function_id: 2,
        name: None,
        description: "a function".into(),
        private: false,
        created_at: created(store.function(2).await.unwrap()),
        version: 1,
        versions: 1,
        canary: None,
        invocations: 0,
    };
    assert_eq!(
        store
            .functions(&FunctionFilter::default(), 0, 9)
            .await
            .unwrap(),
        [one, two.clone()]
    );
    assert_eq!(
        store
            .functions(&FunctionFilter::default(), 1, 9)
            .await
            .unwrap(),
        [two]
    );
}

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let home = Home::new();
    let store = home.open().await;
    for number in 1..=7 {
        create(&store, &format!("f{number}")).await;
    }
    assert!(store.delete_function(3).await.unwrap());
    let (mut pages, mut after) = (Vec::new(), 0);
    while pages.len() < 9 {
        let page = store
            .functions(&FunctionFilter::default(), after, 2)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        after = last.function_id;
        pages.push(page.iter().map(|one| one.function_id).collect::<Vec<_>>());
    }
    assert_eq!(pages, [[1, 2], [4, 5], [6, 7]]);
    assert_eq!(
        store
            .functions(&FunctionFilter::default(), i64::MIN, 0)
            .await
            .unwrap(),
        []
    );
    assert_eq!(
        store
            .functions(&FunctionFilter::default(), i64::MAX, 9)
            .await
            .unwrap(),
        []
    );
    assert_eq!(
        store
            .functions(&FunctionFilter::default(), i64::MIN, u32::MAX)
            .await
            .unwrap()
            .len(),
        6
    );
}

#[tokio::test]
async fn a_list_is_filtered() {
    let home = Home::new();
    let store = home.open().await;
    for (name, private) in [("send-mail", false), ("mail-box", true), ("count", false)] {
        let new = NewFunction {
            name: Some(name.into()),
            private,
            ..function(name)
        };
        store.create_function(new).await.unwrap();
    }
    store
        .create_function(function("without a name"))
        .await
        .unwrap();
    for (name_has, private, expected) in [
        (None, None, &[1, 2, 3, 4][..]),
        (Some("mail"), None, &[1, 2]),
        (Some("mail"), Some(false), &[1]),
        (None, Some(true), &[2]),
        (None, Some(false), &[1, 3, 4]),
        (Some("MAIL"), None, &[]),
        (Some("%"), None, &[]),
        (Some("send-mail-and-more"), None, &[]),
    ] {
        let filter = FunctionFilter {
            name_has: name_has.map(str::to_owned),
            private,
        };
        let found = store.functions(&filter, 0, 9).await.unwrap();
        let numbers: Vec<_> = found.iter().map(|one| one.function_id).collect();
        assert_eq!(numbers, expected, "{filter:?}");
        assert_eq!(
            store.functions(&filter, 3, 9).await.unwrap().len(),
            expected.iter().filter(|n| **n > 3).count()
        );
    }
}
