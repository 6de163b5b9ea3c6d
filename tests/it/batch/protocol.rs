//! Lines, and what holds between the phases.

use fruitvec::commit::commit;
use fruitvec::error::Error;
use fruitvec::outcome::{Outcome, State};
use fruitvec::plan::Wishes;
use fruitvec::run::{Job, Stage};
use fruitvec::task::Task;

use super::{planned, run, worker};
use crate::fixture::{PHOTOS, RESULTS, World, photo};

async fn one_task(world: &World) -> Task {
    world.put("photos/Kiwi/1.png", photo(1)).await;
    let run = run(&world.store, Job::Backfill);
    let (mut tasks, _) = planned(&run, Stage::Backfill, &Wishes::default()).await.unwrap();
    assert_eq!(tasks.len(), 1);
    tasks.remove(0)
}

#[tokio::test]
async fn a_commit_without_all_outcomes_is_refused() {
    let world = World::start().await;
    let task = one_task(&world).await;
    let run = run(&world.store, Job::Backfill);
    let error = commit(&run, Stage::Backfill, Vec::new()).await.unwrap_err();
    assert!(
        matches!(&error, Error::Task(words) if words.contains("1 tasks") && words.contains("outcomes of 0")),
        "{error}"
    );
    let outcome = worker(&world.store).work(&task).await.unwrap();
    let mut other = outcome.clone();
    other.run = "20261123T030000Z-backfill".into();
    assert!(
        commit(&run, Stage::Backfill, vec![other])
            .await
            .unwrap_err()
            .to_string()
            .contains("20261123T030000Z")
    );
    // Twice at once, and once it failed: it is done.
    let mut failed = outcome.clone();
    (failed.state, failed.counts) = (State::Failed, Default::default());
    let committed =
        commit(&run, Stage::Backfill, vec![failed.clone(), outcome.clone(), outcome, failed]).await.unwrap();
    assert_eq!((committed.counts.get("embedded"), committed.counts.get("tasks_failed")), (1, 0));
    assert_eq!(committed.next, Some(Stage::Compact));
}

#[tokio::test]
async fn a_task_whose_list_is_gone_fails_alone() {
    let world = World::start().await;
    let task = one_task(&world).await;
    world.store.delete(RESULTS, std::slice::from_ref(&task.list)).await.unwrap();
    let outcome = worker(&world.store).work(&task).await.unwrap();
    assert_eq!((outcome.state, outcome.errors.len()), (State::Failed, 1));
    assert!(outcome.errors[0].contains(&task.list), "{outcome:?}");
    assert_eq!(Outcome::parse(&outcome.line().unwrap()).unwrap(), outcome);
}

#[tokio::test]
async fn a_task_for_another_model_ends_the_worker() {
    let world = World::start().await;
    let mut task = one_task(&world).await;
    task.model = "vgg".into();
    let error = worker(&world.store).work(&task).await.unwrap_err().to_string();
    assert!(error.contains("vgg") && error.contains("toy"), "{error}");
}

/// Its record would tell the next launch that there is nothing to do.
#[tokio::test]
async fn a_run_that_left_something_undone_has_no_record() {
    let world = World::start().await;
    let task = one_task(&world).await;
    let run = run(&world.store, Job::Backfill);
    let mut outcome = worker(&world.store).work(&task).await.unwrap();
    outcome.counts.add("failed", 1);
    outcome.errors.push("photos/Kiwi/2.png: 403".into());
    commit(&run, Stage::Backfill, vec![outcome]).await.unwrap();
    planned(&run, Stage::Compact, &Wishes::default()).await.unwrap();
    let error = commit(&run, Stage::Compact, Vec::new()).await.unwrap_err().to_string();
    assert!(error.contains("photos/Kiwi/2.png") && error.contains("run it again"), "{error}");
    assert!(matches!(run.get::<serde_json::Value>("run.json").await, Err(Error::Gone { .. })));
    assert_eq!(run.get::<serde_json::Value>("incomplete.json").await.unwrap()["photos_listed"], 1);
}

/// What is longer than a line lies in the run's folder.
#[tokio::test]
async fn a_task_of_many_photos_with_long_names_is_a_short_line() {
    let world = World::start().await;
    let folder = world.file("photos/Kiwi");
    std::fs::create_dir_all(&folder).unwrap();
    for number in 0..2100 {
        std::fs::write(folder.join(format!("{number:0>200}.png")), "text").unwrap();
    }
    let run = run(&world.store, Job::Backfill);
    let (tasks, planned_) = planned(&run, Stage::Backfill, &Wishes::default()).await.unwrap();
    assert_eq!((tasks.len() as u64, planned_.tasks), (5, 5), "of 500 photos: there are few");
    for task in tasks {
        assert!(task.line().unwrap().len() < 1000, "{task:?}");
    }
    assert_eq!(world.results(&format!("runs/{}/embed/", run.id)).await.len(), 5);
    assert_eq!(run.photos_bucket, PHOTOS);
}
