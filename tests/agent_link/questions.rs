//! What `sidecall doctor` asks a FreeSWITCH.

use sidecall::pbx::Pbx;
use sidecall::pbx::freeswitch::FreeswitchEndpoint;

use crate::scripted::Freeswitch;

#[tokio::test]
async fn a_setting_that_may_not_be_read_is_not_one_that_is_not_set() {
    let freeswitch = Freeswitch::start().await;
    let (address, password) = (freeswitch.address.to_string(), "secret".to_owned());
    let endpoint = FreeswitchEndpoint::new(address, None, password, "internal".to_owned());
    let inspection = endpoint.inspect().await.unwrap();
    freeswitch.set_global("sidecall_hold", "500");
    let settings = inspection.settings().await.unwrap();
    assert_eq!((settings.hold.as_deref(), settings.trunk), (Some("500"), None));
    freeswitch.set_global("sidecall_trunk", "-ERR permission denied");
    let refused = inspection.settings().await.unwrap_err();
    assert!(refused.to_string().contains("permission denied"), "{refused}");
}

#[tokio::test]
async fn a_value_that_begins_with_a_dash_is_a_value() {
    let freeswitch = Freeswitch::start().await;
    let (address, password) = (freeswitch.address.to_string(), "secret".to_owned());
    let endpoint = FreeswitchEndpoint::new(address, None, password, "internal".to_owned());
    freeswitch.set_global("sidecall_agent", "-agent");
    assert_eq!(endpoint.inspect().await.unwrap().owner().await.unwrap().as_deref(), Some("-agent"));
}
