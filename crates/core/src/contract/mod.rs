//! The public contract: the data that programs outside this project read, write and send.

pub mod event;
pub mod fit;
pub mod layout;
pub mod limits;
pub mod model_card;
pub mod photo;
pub mod run;
