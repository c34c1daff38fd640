import json

from helpers.training import build_model, describe, load_initialisation, model_card


def test_card_is_json_and_counts_add_up(params):
    start = load_initialisation("none", backbone="resnet18")
    network = build_model(params, n_classes=3, initialisation=start)
    card = json.loads(json.dumps(model_card(network, params=params, initialisation=start)))
    assert card["parameters"] == sum(p.numel() for p in network.parameters())
    assert sum(stage["trainable"] for stage in card["stages"]) == card["trainable"]
    assert card["initialisation"]["is_transfer"] is False


def test_description_says_whether_it_is_transfer_learning():
    table = describe(load_initialisation("none", backbone="resnet18")).set_index("property")["value"]
    assert table["transfer learning"] == "no"
