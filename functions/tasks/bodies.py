"""What kyros.md's task, agent and escalation requests may hold."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from quintet.http.moments import Moment
from quintet.http.wholeness import plain_size
from quintet.tasks.model import MOST_DEPENDENCIES, MOST_TAGS

Type = Literal["implementation", "review", "design", "testing"]
Priority = Literal["low", "medium", "high", "critical"]
Role = Literal["architect", "implementer", "critic", "integrator"]
AnyStatus = Literal["pending", "in_progress", "completed", "failed", "cancelled"]

_MOST_JSON = 32_768


def _small(value: dict[str, Any]) -> dict[str, Any]:
    if plain_size(value) > _MOST_JSON:
        raise ValueError(f"Must be at most {_MOST_JSON} bytes of JSON")
    return value


def _once(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _tag(value: str) -> str:
    tag = value.strip()
    if not tag or "," in tag:
        raise ValueError("Must not be blank, nor hold a comma")
    return tag


def _filled(value: str) -> str:
    if not value.strip():
        raise ValueError("Must not be blank")
    return value


Name = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_filled)]
Text = Annotated[str, Field(max_length=50_000)]
Reason = Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(_filled)]
Object = Annotated[dict[str, Any], AfterValidator(_small)]
Tag = Annotated[str, Field(max_length=64), AfterValidator(_tag)]
Tags = Annotated[list[Tag], Field(max_length=MOST_TAGS), AfterValidator(_once)]
Files = Annotated[list[Annotated[str, Field(min_length=1, max_length=500)]], Field(max_length=200)]
Criteria = Annotated[list[Annotated[str, Field(min_length=1, max_length=2000)]], Field(max_length=50)]
Id = Annotated[str, Field(min_length=1, max_length=64)]
Ids = Annotated[list[Id], Field(max_length=MOST_DEPENDENCIES), AfterValidator(_once)]
Model = Annotated[str, Field(min_length=1, max_length=200)]


class Body(BaseModel):
    """A key that nobody knows is a slip of the pen: better refused than ignored."""

    model_config = ConfigDict(extra="forbid")

    def given(self) -> dict[str, Any]:
        """What was said, lists as tuples."""
        values = self.model_dump(exclude_unset=True)
        return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


class NewTask(Body):
    title: Name
    description: Text = ""
    type: Type = "implementation"
    priority: Priority = "medium"
    assignee_role: Role | None = None
    files_to_modify: Files = []
    acceptance_criteria: Criteria = []
    dependencies: Ids = []
    tags: Tags = []
    deadline: Moment | None = None
    metadata: Object = {}
    auto_start: bool = True  # an agent takes the task by itself, if the task names a role


class ProgressMade(Body):
    completed_steps: int = Field(ge=0, le=10_000)
    total_steps: int = Field(ge=0, le=10_000)
    percentage: float | None = None  # it follows from the others

    @model_validator(mode="after")
    def fit(self) -> Self:
        if self.completed_steps > self.total_steps:
            raise ValueError("completed_steps must not be more than total_steps")
        return self


class TaskChange(Body):
    status: AnyStatus | None = None
    title: Name | None = None
    description: Text | None = None
    type: Type | None = None
    priority: Priority | None = None
    assignee_role: Role | None = None
    files_to_modify: Files | None = None
    acceptance_criteria: Criteria | None = None
    dependencies: Ids | None = None
    tags: Tags | None = None
    deadline: Moment | None = None
    progress: ProgressMade | None = None
    results: Object | None = None
    metadata: Object | None = None
    feedback: Text | None = None


class Cancellation(Body):
    reason: Annotated[str, Field(max_length=4000)] | None = None


class Preferences(Body):
    model: Model | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1, le=1_000_000)
    timeout: int | None = Field(default=None, ge=1, le=86_400)  # seconds, for the whole task


class Submission(Body):
    task_id: Id
    context: Object = {}
    preferences: Preferences = Preferences()


class EscalationContext(BaseModel):
    model_config = ConfigDict(extra="allow")

    security_impact: Annotated[str, Field(max_length=100)] | None = None
    complexity_score: float | None = Field(default=None, ge=0, le=1)
    business_critical: bool | None = None
    files_affected: Files | None = None


class EscalationRequest(Body):
    task_id: Id
    reason: Reason
    original_model: Model | None = None
    target_model: Model | None = None
    context: Object = {}
    estimated_cost: float | None = Field(default=None, ge=0, le=1_000_000, allow_inf_nan=False)
    priority: Priority | None = None


class Decision(Body):
    decision: Literal["approved", "rejected"]
    reason: Annotated[str, Field(max_length=4000)] | None = None
    approver_comments: Annotated[str, Field(max_length=4000)] | None = None


class Indicators(Body):
    file_count: int | None = Field(default=None, ge=0, le=1_000_000)
    service_count: int | None = Field(default=None, ge=0, le=1_000_000)
    security_sensitive: bool | None = None
    business_critical: bool | None = None


class SelectionContext(BaseModel):
    model_config = ConfigDict(extra="allow")

    deadline: Moment | None = None
    team_experience: Annotated[str, Field(max_length=100)] | None = None
    budget_remaining: float | None = Field(default=None, ge=0, le=1e9, allow_inf_nan=False)


class SelectionPreferences(Body):
    cost_sensitive: bool | None = None
    quality_critical: bool | None = None


class Selection(Body):
    task_description: Annotated[str, Field(min_length=1, max_length=50_000), AfterValidator(_filled)]
    task_type: Type | None = None
    files_to_modify: Files = []
    complexity_indicators: Indicators = Indicators()
    context: SelectionContext = SelectionContext()
    preferences: SelectionPreferences = SelectionPreferences()
