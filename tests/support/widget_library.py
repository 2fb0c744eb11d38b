"""What ipywidgets has that matters to a session, as modules that one can import."""

from __future__ import annotations

WIDGET = """
_instances = {}

class Widget:
    def __init__(self, **traits):
        vars(self).update(traits)
        self.model_id = f'model-{len(_instances)}'
        _instances[self.model_id] = self

    def has_trait(self, name):
        return name in vars(self)

    def close(self):
        del _instances[self.model_id]

    def _repr_mimebundle_(self, **_):
        view = {'model_id': self.model_id}
        return {'text/plain': repr(self), 'application/vnd.jupyter.widget-view+json': view}

kinds = 'Box Button Dropdown HTML Image IntProgress IntSlider Label Map Tab Text'.split()
globals().update({kind: type(kind, (Widget,), {}) for kind in kinds})

class Bar(Box):
    def __repr__(self):
        return self.bar
"""
"""Its registry, names, traits and representations: ``ipywidgets.widgets.widget``."""

WIDGET_OUTPUT = """
from functools import wraps
from IPython.display import clear_output
from ipywidgets.widgets.widget import Widget

class Output(Widget):
    def __init__(self):
        super().__init__(outputs=())

    def __enter__(self): ...
    def __exit__(self, *what): ...

    def clear_output(self, *args, **kwargs):
        with self:
            clear_output(*args, **kwargs)

    def capture(self, clear_output=False):
        def decorate(function):
            @wraps(function)
            def inner(*args):
                if clear_output:
                    self.clear_output()
                with self:
                    return function(*args)
            return inner
        return decorate

    def append_stdout(self, text):
        self.outputs += ({'output_type': 'stream', 'name': 'stdout', 'text': text},)

    append_stderr = append_display_data = append_stdout
"""
"""``ipywidgets.widgets.widget_output``."""

WRITE = f"""
import os
os.makedirs('ipywidgets/widgets', exist_ok=True)
for name, text in (
    ('__init__', ''), ('widgets/__init__', ''),
    ('widgets/widget', {WIDGET!r}), ('widgets/widget_output', {WIDGET_OUTPUT!r}),
):
    with open(f'ipywidgets/{{name}}.py', 'w') as file: _ = file.write(text)
from ipywidgets.widgets.widget import *
from ipywidgets.widgets.widget_output import Output
from IPython.display import clear_output
"""
"""Code that makes them in a session, and imports what is tried."""
