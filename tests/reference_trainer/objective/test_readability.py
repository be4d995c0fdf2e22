"""Eq. 1 to 6 of the paper stand in one folder: one function each, on one screen, with the equation in its docstring."""

import inspect
import pkgutil

import pytest

import reference_trainer.objective as objective

EQUATIONS = {
    "Eq. 1": [objective.grpo_loss, objective.token_objective],
    "Eq. 2": [objective.c3po_loss],
    "Eq. 3": [objective.fill_budget],
    "Eq. 4": [objective.token_entropy],
    "Eq. 5": [objective.balance_loss, objective.z_loss],
    "Eq. 6": [objective.total_loss],
}


@pytest.mark.parametrize("equation", EQUATIONS)
def test_each_equation_has_its_function_with_the_equation_in_the_docstring(equation):
    for function in EQUATIONS[equation]:
        docstring = inspect.getdoc(function)
        assert equation in docstring
        assert "=" in docstring
        assert function.__module__.startswith("reference_trainer.objective.")


def test_every_function_of_the_folder_is_under_forty_lines():
    long = []
    for module in pkgutil.iter_modules(objective.__path__):
        loaded = __import__(f"reference_trainer.objective.{module.name}", fromlist=["_"])
        for name, function in inspect.getmembers(loaded, inspect.isfunction):
            lines = len(inspect.getsourcelines(function)[0])
            if lines >= 40:
                long.append((module.name, name, lines))
    assert not long
