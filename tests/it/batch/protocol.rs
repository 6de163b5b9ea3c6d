//! The exchange between plan, work and commit: tasks, outcomes and run files.

use fruitvec::batch::commit::commit;
use fruitvec::batch::outcome::{Outcome, State};
use fruitvec::batch::plan::PlanOptions;
use fruitvec::batch::task::Task;
use fruitvec::contract::run::{Counts, Job, Stage};
use fruitvec::error::Error;
use serde_json::Value;

use super::{plan_stage, run, worker};
use crate::support::world::{PHOTOS, RESULTS, World, photo};

async fn one_task(world: &World) -> Task {
    world.put("photos/Kiwi/1.png", photo(1)).await;
    let run = run(&world.store, Job::Backfill);
    let (mut tasks, _) = plan_stage(&run, Stage::Backfill, &PlanOptions::default()).await.unwrap();
    assert_eq!(tasks.len(), 1);
    tasks.remove(0)
}

#[tokio::test]
async fn a_commit_needs_an_outcome_of_each_task() {
    let world = World::start().await;
    let task = one_task(&world).await;
    let run = run(&world.store, Job::Backfill);
    let error = commit(&run, Stage::Backfill, Vec::new()).await.unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, Error::Task(_)), "{message}");
    assert!(message.contains("1 tasks") && message.contains("outcomes of 0"), "{message}");

    let outcome = worker(&world.store).work(&task).await.unwrap();
    let other = Outcome { run: "20261123T030000Z-backfill".into(), ..outcome.clone() };
    let error = commit(&run, Stage::Backfill, vec![other]).await.unwrap_err().to_string();
    assert!(error.contains("20261123T030000Z"), "{error}");

    // A task is done if at least one of its attempts is. Other attempts of it count nothing.
    let failed = Outcome { state: State::Failed, counts: Counts::default(), ..outcome.clone() };
    let outcomes = vec![failed.clone(), outcome.clone(), outcome, failed];
    let committed = commit(&run, Stage::Backfill, outcomes).await.unwrap();
    assert_eq!((committed.counts.get("embedded"), committed.counts.get("tasks_failed")), (1, 0));
    assert_eq!(committed.next, Some(Stage::Compact));
}

#[tokio::test]
async fn a_missing_list_fails_only_its_task() {
    let world = World::start().await;
    let task = one_task(&world).await;
    world.store.delete(RESULTS, std::slice::from_ref(&task.list)).await.unwrap();
    let outcome = worker(&world.store).work(&task).await.unwrap();
    assert_eq!((outcome.state, outcome.errors.len()), (State::Failed, 1));
    assert!(outcome.errors[0].contains(&task.list), "{outcome:?}");
    assert_eq!(Outcome::parse(&outcome.line().unwrap()).unwrap(), outcome);
}

#[tokio::test]
async fn a_task_for_another_model_stops_the_worker() {
    let world = World::start().await;
    let mut task = one_task(&world).await;
    task.model = "vgg".into();
    let error = worker(&world.store).work(&task).await.unwrap_err().to_string();
    assert!(error.contains("vgg") && error.contains("toy"), "{error}");
}

/// A record would make the next launch believe that there is nothing to do.
#[tokio::test]
async fn an_incomplete_run_has_no_record() {
    let world = World::start().await;
    let task = one_task(&world).await;
    let run = run(&world.store, Job::Backfill);
    let mut outcome = worker(&world.store).work(&task).await.unwrap();
    outcome.counts.add("failed", 1);
    outcome.errors.push("photos/Kiwi/2.png: 403".into());
    commit(&run, Stage::Backfill, vec![outcome]).await.unwrap();
    plan_stage(&run, Stage::Compact, &PlanOptions::default()).await.unwrap();
    let error = commit(&run, Stage::Compact, Vec::new()).await.unwrap_err().to_string();
    assert!(error.contains("photos/Kiwi/2.png") && error.contains("run it again"), "{error}");
    assert!(matches!(run.get::<Value>("run.json").await, Err(Error::NotFound { .. })));
    assert_eq!(run.get::<Value>("incomplete.json").await.unwrap()["photos_listed"], 1);
}

/// The list of its photos is a file of the run.
#[tokio::test]
async fn a_task_of_many_photos_with_long_names_is_a_short_line() {
    let world = World::start().await;
    let folder = world.photo_file("photos/Kiwi");
    std::fs::create_dir_all(&folder).unwrap();
    for number in 0..2100 {
        std::fs::write(folder.join(format!("{number:0>200}.png")), "text").unwrap();
    }
    let run = run(&world.store, Job::Backfill);
    let (tasks, planned) = plan_stage(&run, Stage::Backfill, &PlanOptions::default()).await.unwrap();
    assert_eq!((tasks.len() as u64, planned.tasks), (5, 5), "a small backfill has tasks of 500 photos");
    for task in tasks {
        assert!(task.line().unwrap().len() < 1000, "{task:?}");
    }
    assert_eq!(world.result_objects(&format!("runs/{}/embed/", run.id)).await.len(), 5);
    assert_eq!(run.photos_bucket, PHOTOS);
}
